/**
 * proxy-chain over SOCKS ports in turn, by `prepareRequestFunction` as its README has it (github.com/apify/proxy-chain).
 *
 *   node bench/peers/proxy-chain.ts PORT UPSTREAM...
 *
 * By `socks5h`: with `socks5` a plain http request has its name resolved on this machine.
 */
import { Server } from 'proxy-chain'

const [port = '', ...upstreams] = process.argv.slice(2)
let turn = 0

const server = new Server({
  host: '127.0.0.1',
  port: Number(port),
  prepareRequestFunction: () => ({
    upstreamProxyUrl: `socks5h://127.0.0.1:${upstreams[turn++ % upstreams.length]}`,
  }),
})
await server.listen()
