complete --keep-order --exclusive --command pbx --arguments "(WIRECHIEF_COMPLETE=fish pbx -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
