"""What is claimed about images, as in-toto statements.

Builders here are pure and give the same bytes for the same facts; who signs, and where the result goes, is not their
concern. docs/signing.md says what each type means, field by field.
"""
