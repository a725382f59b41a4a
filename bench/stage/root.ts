/** Of the project, without a slash at the end. */
export const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')
