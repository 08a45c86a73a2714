complete --keep-order --exclusive --command spy --arguments "(WIRECHIEF_COMPLETE=fish spy -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
