"""A whole testnet on this machine: a stand-in node, people, publishers, keepers, and a crash."""
