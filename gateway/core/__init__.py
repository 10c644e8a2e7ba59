"""The pure core: clock, chance, environment, files, sockets and logs enter as arguments only."""
