// Applies the stored colour scheme before the first paint, so that no other scheme flashes up.
try {
  const scheme = localStorage.getItem('berth.scheme');
  if (scheme === 'light' || scheme === 'dark') document.documentElement.dataset.scheme = scheme;
} catch { /* A browser without storage follows the system. */ }
