"""One file per place where incidents are filed."""
