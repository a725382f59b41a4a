/** Of our environment, which may hold secrets, programs need nothing but where others are. `ip` and `nft` are for root. */
export function environment(): NodeJS.ProcessEnv {
  return {
    PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`,
    LC_ALL: 'C',
    // Of the resolution of a peer's name: whoever needs it tries again.
    WG_ENDPOINT_RESOLUTION_RETRIES: '1',
  }
}
