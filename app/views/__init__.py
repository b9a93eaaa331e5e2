"""One view per file: each shows one part of the selection and holds no data of its own."""
