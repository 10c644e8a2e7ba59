"""The pure core: no clock, chance, environment, file, socket or log; all of these enter as arguments."""
