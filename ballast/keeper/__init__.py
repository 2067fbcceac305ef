"""The keeper: follows the chain, keeps a mirror of it, and acts on what it shows."""
