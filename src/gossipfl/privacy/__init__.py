"""What private training costs and what may leave: noise, accounting, ledger, publications; opacus only in here."""
