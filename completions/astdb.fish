complete --keep-order --exclusive --command astdb --arguments "(WIRECHIEF_COMPLETE=fish astdb -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
