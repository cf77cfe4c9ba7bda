"""Where what is known is kept: the ports and the stores behind them."""
