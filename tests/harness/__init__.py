"""What the interop tests are written with: peers, processes, ports, and a client that shows bytes."""
