"""Redis as a store, alone or in a cluster, and the clients by which whatever else is kept there is reached."""
