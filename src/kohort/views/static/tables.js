/* Tables that are whole on their page: sorted by a heading, filtered by what somebody types. Without it they stand as they were sent. */
(() => {
  const MANY = 8;
  const SIZES = { k: 1e3, m: 1e6, bn: 1e9 };

  /* What a cell is sorted by: its figure where it begins with one, else its text. */
  const key = cell => {
    const words = (cell.querySelector('b, a, time')?.getAttribute('datetime') ?? cell.querySelector('b, a')?.textContent ?? cell.textContent).trim();
    const found = words.replace('−', '-').match(/^[^\d\w-]*(-?[\d,]*\.?\d+)\s?(bn|m|k)?(?![\d-])/);
    return found ? { number: Number(found[1].replaceAll(',', '')) * (SIZES[found[2]] ?? 1), words } : { number: null, words: words.toLowerCase() };
  };

  const compare = (a, b) => {
    if (a.number !== null && b.number !== null) return a.number - b.number;
    if (a.number === null !== (b.number === null)) return a.number === null ? 1 : -1; // what is not known comes last
    return a.words.localeCompare(b.words);
  };

  const sortable = table => {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    const before = [...body.rows];
    heads.forEach((head, column) => {
      if (!head.textContent.trim() || head.querySelector('.vh, button')) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'sort';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const now = head.getAttribute('aria-sort');
        const number = before.some(row => key(row.cells[column]).number !== null);
        const first = number ? 'descending' : 'ascending', second = number ? 'ascending' : 'descending';
        const way = now === first ? second : now === second ? null : first;
        for (const one of heads) one.removeAttribute('aria-sort');
        if (way) head.setAttribute('aria-sort', way);
        const rows = [...before];
        if (way) rows.sort((a, b) => (way === 'ascending' ? 1 : -1) * compare(key(a.cells[column]), key(b.cells[column])));
        body.append(...rows);
      });
    });
  };

  const filterable = table => {
    const rows = [...table.tBodies[0].rows], wrap = table.closest('.table-wrap');
    const name = table.caption?.textContent || 'table';
    const field = Object.assign(document.createElement('input'), { type: 'search', className: 'field', placeholder: 'Filter', autocomplete: 'off' });
    field.setAttribute('aria-label', `Filter: ${name}`);
    const told = document.createElement('span');
    told.className = 'small muted';
    told.setAttribute('role', 'status');
    const line = document.createElement('div');
    line.className = 'filter';
    line.append(field, told);
    wrap.before(line);
    field.addEventListener('input', () => {
      const wanted = field.value.trim().toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !wanted.every(word => row.textContent.toLowerCase().includes(word));
      const shown = rows.filter(row => !row.hidden).length;
      told.textContent = field.value.trim() ? `${shown} of ${rows.length} shown` : '';
    });
  };

  for (const table of document.querySelectorAll('table[data-whole]')) {
    if (!table.tHead || !table.tBodies[0] || table.tBodies[0].rows.length < 2) continue;
    if (matchMedia('(min-width: 821px)').matches) sortable(table); // on a phone rows are cards without headings
    if (table.tBodies[0].rows.length >= MANY) filterable(table);
  }
})();
