"""The relay: takes signed orders, keeps the book, matches, and streams (docs/RELAY.md)."""
