"""Stand-ins for the other side, for faults and answers that the real thing cannot be made to give."""
