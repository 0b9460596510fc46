# Say in the prompt that this is not the host itself, unless it is.
[ ! -d /hostroot ] || PS1="(ns: getty) $PS1"
