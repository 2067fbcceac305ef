"""An exchange on one machine: `make app`."""
