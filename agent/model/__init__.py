"""The nouns: frozen values that every storey understands."""
