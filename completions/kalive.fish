complete --keep-order --exclusive --command kalive --arguments "(KALIVE_COMPLETE=fish kalive -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
