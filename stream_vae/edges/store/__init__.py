"""Object stores, which hold the bundles of clusters."""
