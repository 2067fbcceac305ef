"""What one owner with many accounts, a keeper and a staker's purse can do to everybody else.

Two games. In `block` prices are given and stand still: a gain is a bug (docs/ADVERSARY.md says what
counts as one). In `crash` prices move, and a leveraged pair of accounts holds an option on the
insurance fund: the question is what it is worth, and what makes it worthless.
"""
