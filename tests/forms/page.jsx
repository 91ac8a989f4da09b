// One form of a manifest, as an editor of playbooks makes it of the schema. The driver calls `show`, then clicks and
// types; what the form gives out when it is submitted, or refuses, is left in `outcome`.
import Form from '@rjsf/core'
import validator from '@rjsf/validator-ajv8'
import { createRoot } from 'react-dom/client'

const root = createRoot(document.getElementById('root'))

// The platform's own keyword beside the schema says which properties are secrets.
const hidden = (schema) =>
  Object.fromEntries((schema.secrets ?? []).map((name) => [name, { 'ui:widget': 'password' }]))

let shown = 0
window.show = ({ secrets, ...schema }, formData) => {
  window.outcome = null
  root.render(
    <Form
      key={++shown}
      schema={schema}
      uiSchema={hidden({ secrets })}
      formData={formData}
      validator={validator}
      // The browser's own checks show a bubble and stop: what is refused, and why, is the form's to say.
      noHtml5Validate
      onSubmit={({ formData }) => (window.outcome = { submitted: formData, refused: [] })}
      onError={(errors) => (window.outcome = { submitted: null, refused: errors.map((error) => error.stack) })}
    />,
  )
}
