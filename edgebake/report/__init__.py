"""What `edgebake report` makes of a log: tables, a plot, a page, the account of misses and bakes, who was active."""
