"""A watcher that tells people what concerns them: what to say, how to post it, when to look."""
