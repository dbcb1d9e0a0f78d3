"""Contents managers: the classes that operators name and subclass, and what they are made of."""
