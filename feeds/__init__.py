"""What a feed is: its resources, their system of record, the change log, timelines and fan-out."""
