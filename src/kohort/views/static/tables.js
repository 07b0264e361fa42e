/* Tables that are whole on their page: sorted by a heading, filtered by what somebody types. Without it they stand as they were sent. */
(() => {
  const MANY = 8;
  const said = document.currentScript.dataset; // texts and figures as the reader's language has them
  const SIZES = Object.fromEntries(said.sizes.trim().split(' ').map(one => one.split('=')).map(([ending, size]) => [ending, Number(size)]));
  const exactly = text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const ENDINGS = Object.keys(SIZES).filter(one => /^\p{L}/u.test(one)).map(exactly).join('|');
  const FIGURE = new RegExp(
    `^[^\\d\\w-]*(-?)[^\\d\\w-]*([\\d${exactly(said.thousands)}]*${exactly(said.decimal)}?\\d+)(?:\\s?(${ENDINGS})(?!\\p{L}))?(?![\\d-])`, 'u');

  /* What a cell is sorted by: its figure where it begins with one, else its text. */
  const key = cell => {
    const words = (cell.querySelector('b, a, time')?.getAttribute('datetime') ?? cell.querySelector('b, a')?.textContent ?? cell.textContent).trim();
    const found = words.replace('−', '-').match(FIGURE);
    if (!found) return { number: null, words: words.toLowerCase() };
    const size = Number(found[2].replaceAll(said.thousands, '').replace(said.decimal, '.')) * (SIZES[found[3]] ?? 1);
    return { number: found[1] ? -size : size, words };
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
    const name = table.caption?.textContent || said.table;
    const field = Object.assign(document.createElement('input'), { type: 'search', className: 'field', placeholder: said.filter, autocomplete: 'off' });
    field.setAttribute('aria-label', said.filtered.replace('{table}', name));
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
      told.textContent = field.value.trim() ? said.shown.replace('{n}', shown).replace('{all}', rows.length) : '';
    });
  };

  for (const table of document.querySelectorAll('table[data-whole]')) {
    if (!table.tHead || !table.tBodies[0] || table.tBodies[0].rows.length < 2) continue;
    if (matchMedia('(min-width: 821px)').matches) sortable(table); // on a phone rows are cards without headings
    if (table.tBodies[0].rows.length >= MANY) filterable(table);
  }
})();
