import { words } from '../i18n';

/** The heads of a table whose last column holds what can be done with a row. */
export function Heads({ of }: { of: readonly string[] }) {
  return (
    <thead>
      <tr>
        {of.map((head) => (
          <th key={head}>{head}</th>
        ))}
        <th>
          <span class="vh">{words.value.settings.actions}</span>
        </th>
      </tr>
    </thead>
  );
}
