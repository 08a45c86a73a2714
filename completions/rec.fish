complete --keep-order --exclusive --command rec --arguments "(WIRECHIEF_COMPLETE=fish rec -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
