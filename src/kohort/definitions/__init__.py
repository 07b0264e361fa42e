"""The text people write (`kohort.yaml`, feature definitions), read into validated values with positions."""
