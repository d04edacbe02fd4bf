"""What every long training needs, whatever it trains: ranks, states, records, signals."""
