"""Propylon's Python half: the extension that its processes load. Run the command `propylon`."""
