"""A price scenario replayed against a deployment, with traders, a keeper and a watching model."""
