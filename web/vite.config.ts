import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Writes `licenses.txt`: the licences of every package whose code is in the bundle. They ask for it, and we ship their code. */
function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_, bundle) {
      const packages = new Map<string, string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of Object.keys(chunk.modules)) {
          const found = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(id);
          if (found?.[1] && found[2]) packages.set(found[2].replace('\\', '/'), found[1]);
        }
      }
      const source = [...packages]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, folder]) => {
          const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string; license: string };
          const texts = readdirSync(folder, { withFileTypes: true })
            .filter((entry) => /^(licen[cs]e|notice|copyright)/i.test(entry.name))
            // ECharts keeps those of what it contains in a folder.
            .flatMap((entry) => (entry.isDirectory() ? readdirSync(join(folder, entry.name)).map((file) => join(entry.name, file)) : [entry.name]))
            .sort()
            .map((file) => readFileSync(join(folder, file), 'utf8').trim());
          return [`${name} ${about.version} (${about.license})`, ...texts].join('\n\n');
        })
        .join(`\n\n${'-'.repeat(80)}\n\n`);
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: `${source}\n` });
    },
  };
}

// File names are fixed (no hashes): `dist` is committed and embedded, and the server answers with an ETag.
export default defineConfig({
  base: '/',
  plugins: [licences()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    // The polyfill is an inline script, which the CSP forbids; browsers of `target` do not need it.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: { app: 'index.html' },
      output: {
        // Three chunks by what they are, not by who happens to share them: names stay, and each changes for its own reason.
        codeSplitting: {
          groups: [
            { name: 'echarts', test: /node_modules[\\/](echarts|zrender|tslib)[\\/]|src[\\/]charts[\\/]echarts/, priority: 2 },
            { name: 'core', test: /node_modules[\\/](preact|@preact)[\\/]|src[\\/](api|live|state|format|parts)[\\/]|src[\\/]i18n[\\/]index/, priority: 1 },
          ],
        },
        entryFileNames: 'assets/[name].js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: (asset) => (asset.names.some((name) => name === 'index.css') ? 'assets/app.css' : 'assets/[name][extname]'),
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: process.env.OCW_SERVER ?? 'http://127.0.0.1:38888', changeOrigin: false },
      '/live': { target: process.env.OCW_SERVER ?? 'http://127.0.0.1:38888', ws: true },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
