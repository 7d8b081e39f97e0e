"""What connects Velithon to other libraries: one module each, with the extra that installs it."""
