"""Figures: what the protocol costs, measured, and the pages they are written to."""
