"""What an edge is: cache tags, the fence, the ledger and pending set, and the drivers of real edges."""
