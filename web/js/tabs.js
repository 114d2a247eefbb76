// The tabs, by the ARIA pattern: arrow keys move, one tab stop. Each has its own address.

/** @typedef {{tab: HTMLElement, panel: HTMLElement, path: string}} Tab */

/** @param {Tab[]} tabs @param {() => void} onSwitch */
export function createTabs(tabs, onSwitch) {
  /** @param {Tab} chosen */
  const show = (chosen) => {
    for (const { tab, panel } of tabs) {
      const selected = tab === chosen.tab;
      tab.setAttribute('aria-selected', String(selected));
      tab.tabIndex = selected ? 0 : -1;
      panel.hidden = !selected;
    }
    onSwitch();
  };
  /** @param {Tab} chosen */
  const go = (chosen) => {
    if (chosen.tab.getAttribute('aria-selected') === 'true') return;
    history.replaceState(null, '', chosen.path);
    show(chosen);
  };
  tabs.forEach((entry, i) => {
    entry.tab.addEventListener('click', () => go(entry));
    entry.tab.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(i + step + tabs.length) % tabs.length];
      next.tab.focus();
      go(next);
    });
  });
  show(tabs.find(({ path }) => location.pathname.replace(/\/?$/, '/') === path) ?? tabs[0]);
}
