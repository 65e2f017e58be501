"""The commands: one small module a group, each with what Typer needs to know and little else."""
