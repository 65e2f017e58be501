"""The roof: command line, settings and processes. The only room that knows all the others."""
