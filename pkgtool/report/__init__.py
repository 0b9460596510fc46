"""What people and machines see: listeners to events, tables, errors as text. Results alone go to standard output."""
