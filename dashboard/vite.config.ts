import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

/**
 * Everything that the page is made of comes from the service that serves it, under `/page/`. Names of files tell their content,
 * so browsers may keep them for ever; `index.html` is served at `/`.
 */
export default defineConfig({
  root: import.meta.dirname,
  base: '/page/',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsDir: '',
    assetsInlineLimit: 0,
    sourcemap: false,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  plugins: [compressed()],
})

/** What a first look may take, in all. */
const MAX_FIRST_LOAD_BYTES = 150 * 1024

/** Puts `.br` and `.gz` beside each file, so that the service has nothing to compress, and fails when the page has grown too large. */
function compressed(): Plugin {
  let outDir = ''
  return {
    name: 'compressed',
    configResolved: (config) => {
      outDir = resolve(config.root, config.build.outDir)
    },
    closeBundle() {
      let total = 0
      for (const name of readdirSync(outDir).filter((each) => /\.(?:html|js|css)$/.test(each))) {
        const bytes = readFileSync(join(outDir, name))
        const gzip = gzipSync(bytes, { level: 9 })
        total += gzip.length
        writeFileSync(join(outDir, `${name}.gz`), gzip)
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
        writeFileSync(join(outDir, `${name}.br`), brotliCompressSync(bytes, { params }))
      }
      this.info(`first load: ${(total / 1024).toFixed(1)} KB gzip of ${MAX_FIRST_LOAD_BYTES / 1024} KB`)
      if (total > MAX_FIRST_LOAD_BYTES) this.error(`The page is too large: ${total} bytes gzip`)
    },
  }
}
