// Runs before the first paint and before the program: the page must not flash in the wrong theme or language.
// The same rules live in src/state/prefs.ts, which takes over from here.
(function () {
  var root = document.documentElement, saved = {};
  try { saved = JSON.parse(localStorage.getItem('openclaw-watch') || '{}') || {}; } catch (e) { /* storage refused: defaults */ }
  var dark = saved.theme === 'dark' || (saved.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.setAttribute('data-theme', dark ? 'dark' : 'light');
  root.lang = saved.lang === 'zh-CN' || saved.lang === 'en' ? saved.lang : /^zh/i.test(navigator.language || '') ? 'zh-CN' : 'en';
})();
