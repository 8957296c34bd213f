"""What runs in the user's interpreter, not in rund's: any Python from 3.8 on, and nothing but its standard library."""
