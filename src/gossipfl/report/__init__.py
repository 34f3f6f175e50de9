"""Tables and pictures from results; nothing is computed here that was not recorded."""
