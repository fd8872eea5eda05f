"""The life of a job: rows and files. No Flask, no pixels."""
