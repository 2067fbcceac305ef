"""Prices on chain: a publisher signs what a source says, a collector brings M of N."""
