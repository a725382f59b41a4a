/** So high that every other default route comes first: the one that is used when there is no other. */
export const KILL_SWITCH_METRIC = 4_278_198_272
