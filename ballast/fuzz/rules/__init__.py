"""What the contracts at the edge must do, written anew from the design (sections 7 and 8).

Each rule book keeps what has been done so far and says of a call, before it is sent, whether it
goes through or for which reasons it may be refused. Nothing here looks at a contract.
"""
